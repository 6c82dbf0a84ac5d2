// Jobs, outcomes, resources and errors are declared in RoostModel: a program that imports Roost can name them.
@_exported public import RoostModel
